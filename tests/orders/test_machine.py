"""Random histories: people, sellers, payments, crashes and two processes in each other's way."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pymongo.errors import AutoReconnect

from apps.orders import service
from apps.orders.models import Order, Pair
from apps.orders.service import Orders
from shared import patience
from shared.errors import Refused
from shared.events import TicketCreated, TicketUpdated
from tests.orders.watched import Call, Crash, watched
from tests.orders.world import (
    BUYER,
    HOLD,
    LIVE,
    OTHER,
    PAIR,
    TICKET,
    World,
    memory_store,
    payment_data,
    user,
)

Step = tuple[Any, ...]
PAIRS = [Pair(PAIR.payment_id, 1), Pair(PAIR.payment_id, 2)]
ENDED = ("complete", "cancelled")

an_order = st.one_of(st.just(0), st.integers(0, 9))  # counted from the newest
a_pause = st.sampled_from([timedelta(), HOLD + service.ORPHAN_GRACE])
a_call = st.one_of(st.integers(0, 6), st.integers(0, 20))
a_pair = st.sampled_from(PAIRS)
a_step = st.one_of(
    st.tuples(
        st.just("reserve"),
        st.integers(1, 5),
        st.sampled_from([BUYER, OTHER]),
        st.sampled_from([None, None, "a", "b"]),
    ),
    st.tuples(st.just("sell"), st.integers(1, 9), st.sampled_from([False, False, False, True])),
    st.tuples(st.just("cancel"), an_order),
    st.tuples(st.just("alarm"), an_order),
    st.tuples(st.sampled_from(["commit", "complete", "payment_failed"]), an_order, a_pair),
    st.tuples(st.just("refund"), an_order, a_pair),
    st.tuples(st.just("redeliver"), an_order),
    st.tuples(st.just("listen")),
    st.tuples(st.just("sweep")),
)


class Meanwhile:
    """At the call of that number, another process does something else."""

    def __init__(self, number: int, happens: Any) -> None:
        self.number, self.happens = number, happens

    def __call__(self, call: Call) -> Any:
        self.number -= 1
        if self.number == -1:
            self.happens()
        return call.do()


class Sale(RuleBasedStateMachine):
    """Each step is done by one of two processes, whole, broken off, or with another inside it."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._patience, patience.PATIENCE = patience.PATIENCE, 0
        self.world = World(self._stack.enter_context(memory_store()), block_size=3)
        self.processes = [self.world.process(), self.world.process()]
        self.told: dict[str, Order] = {}
        self.ended: dict[str, str] = {}
        self.events: list[TicketCreated | TicketUpdated] = []
        self.unheard: list[TicketCreated | TicketUpdated] = []

    # --- what happens -----------------------------------------------------------------------------

    @initialize(quantity=st.integers(1, 9))
    def begin(self, quantity: int) -> None:
        self._do(("sell", quantity, False), self.world.service)

    @rule(step=a_step, process=st.integers(0, 1))
    def whole(self, step: Step, process: int) -> None:
        self._do(step, self.processes[process])

    @rule(step=a_step, number=st.integers(0, 9), after=st.booleans())
    def broken_off(self, step: Step, number: int, after: bool) -> None:
        crash = Crash(number, after=after)
        try:
            self._do(step, self.world.process(watched(self.world.store, crash)))
        except AutoReconnect:
            assert crash.happened

    @rule(step=a_step, inside=a_step, number=a_call, passed=a_pause)
    def two_at_once(self, step: Step, inside: Step, number: int, passed: timedelta) -> None:
        def happens() -> None:
            self.world.passes(passed)
            self._do(inside, self.processes[0])

        outer = watched(self.world.store, Meanwhile(number, happens))
        self._do(step, self.world.process(outer))

    @rule(minutes=st.sampled_from([1, 7, 15]))
    def time_passes(self, minutes: int) -> None:
        self.world.passes(timedelta(minutes=minutes))

    @precondition(lambda self: self.told)
    @rule()
    def everything_is_finished(self) -> None:
        for event in list(self.unheard):
            self._hear(event, self.world.service)
        self.world.recover()
        self.world.assert_cancelled_orders_hold_nothing()
        self.world.passes(HOLD + service.ORPHAN_GRACE)
        self.world.recover()
        self.world.assert_sound()

    # --- steps ------------------------------------------------------------------------------------

    def _do(self, step: Step, process: Orders) -> None:
        name, *arguments = step
        getattr(self, f"_{name}")(process, *arguments)

    def _reserve(self, process: Orders, quantity: int, buyer: str, key: str | None) -> None:
        try:
            order = process.place(user(buyer), TICKET, quantity, key)
        except Refused:
            return
        self.told[order.id] = order

    def _sell(self, process: Orders, quantity: int, withdrawn: bool) -> None:
        event = self.world.says_ticket(quantity=quantity, withdrawn=withdrawn)
        self.events.append(event)
        self.unheard.append(event)
        self._hear(event, process)

    def _hear(self, event: TicketCreated | TicketUpdated, process: Orders) -> None:
        self.world.handlers_of(process).on_ticket(event)
        if event in self.unheard:
            self.unheard.remove(event)

    def _redeliver(self, process: Orders, number: int) -> None:
        self._hear(self.events[number % len(self.events)], process)

    def _listen(self, process: Orders) -> None:
        heard = [event for event in self.world.events() if self.world.is_new(event)]
        self.world.handlers_of(process).on_own_orders(heard)  # type: ignore[arg-type]
        self.world.delivered.update(event.id for event in heard)

    def _sweep(self, process: Orders) -> None:
        process.sweep_expired()
        process.sweep_unreleased()
        process.sweep_unfinished()
        process.sweep_unallotted()
        process.sweep_orphans()

    def _cancel(self, process: Orders, number: int) -> None:
        if order := self._pick(number):
            try:
                process.cancel(user(order.user_id), order.id)
            except Refused:
                return
            assert self.world.order(order).status == "cancelled"

    def _alarm(self, process: Orders, number: int) -> None:
        if order := self._pick(number):
            process.expire(order.id)

    def _commit(self, process: Orders, number: int, pair: Pair) -> None:
        if order := self._pick(number):
            process.commit(order.id, pair)

    def _complete(self, process: Orders, number: int, pair: Pair) -> None:
        if order := self._pick(number):
            process.complete(order.id, pair)

    def _payment_failed(self, process: Orders, number: int, pair: Pair) -> None:
        if order := self._pick(number):
            process.payment_failed(order.id, pair)

    def _refund(self, process: Orders, number: int, pair: Pair) -> None:
        if order := self._pick(number):
            process.refund(order.id, pair, payment_data(order).amount)

    def _pick(self, number: int) -> Order | None:
        told = list(self.told.values())
        return told[-1 - number % len(told)] if told else None

    # --- what is always true ----------------------------------------------------------------------

    @invariant()
    def blocks_add_up(self) -> None:
        self.world.assert_blocks_add_up()

    @invariant()
    def a_living_order_has_its_units(self) -> None:
        taken = self.world.taken()
        for order in self.world.orders():
            if order.status in LIVE:
                assert sum(part.units for part in order.blocks) == order.quantity
                assert all(taken[part.block, order.id] == part.units for part in order.blocks)

    @invariant()
    def what_was_told_stays(self) -> None:
        known = {order.id: order for order in self.world.orders()}
        assert self.told.keys() <= known.keys()
        for order_id, status in self.ended.items():
            assert known[order_id].status == status
        self.ended.update((o.id, o.status) for o in known.values() if o.status in ENDED)

    @invariant()
    def every_version_has_its_event(self) -> None:
        for order in self.world.orders():
            assert len(self.world.said_of(order)) == order.version + 1

    @invariant()
    def a_key_has_one_order(self) -> None:
        keys = [(order.user_id, order.key) for order in self.world.orders() if order.key]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        try:
            self.everything_is_finished()
        finally:
            patience.PATIENCE = self._patience
            self._stack.close()


TestSale = Sale.TestCase
TestSale.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
