"""Promise 1, searched for a counter-example: charged exactly when the order is complete.

Hypothesis plays a buyer with several tabs, a bank, two services, the network and the crashes.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.payments.bank import CARDS
from tests.payments.market import Market

some = st.integers(0, 30)
moments = st.sampled_from([1, 6, 16, 31, 400, 1000])
# What others may do while a process is paused between two of its steps.
meanwhile = st.one_of(
    st.tuples(st.just("pay"), st.sampled_from(CARDS)),
    st.tuples(st.just("deliver_to_payments"), some),
    st.tuples(st.just("deliver_to_orders"), some),
    st.tuples(st.just("repeat"), some),
    st.tuples(st.just("webhook"), some),
    st.tuples(st.just("bank_page"), st.booleans()),
    st.tuples(st.just("time"), moments),
    st.tuples(st.just("stripe_breaks"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("dashboard_refund"), st.sampled_from([100, 3900])),
    st.tuples(st.just("admin_refunds"), some),
    st.tuples(
        st.sampled_from(
            [
                "errands",
                "reconcile",
                "orders_sweep",
                "buyer_cancels",
                "come_back",
                "authorisation_expires",
                "ended_anyway",
            ]
        ),
        st.none(),
    ),
)


class Promise(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.market = Market()
        self.market.collect()

    @initialize(arrived=st.sampled_from([True, True, True, False]))
    def order_arrives(self, arrived: bool) -> None:
        if arrived:
            self.market.act("deliver_to_payments", 0)

    @rule(card=st.sampled_from(CARDS))
    def pay(self, card: str) -> None:
        self.market.act("pay", card)

    @rule(which=some)
    def payments_hears(self, which: int) -> None:
        self.market.act("deliver_to_payments", which)

    @rule(which=some)
    def orders_hears(self, which: int) -> None:
        self.market.act("deliver_to_orders", which)

    @rule(which=some)
    def heard_again(self, which: int) -> None:
        self.market.act("repeat", which)

    @rule()
    def background_work(self) -> None:
        self.market.act("errands")

    @rule(seconds=moments)
    def time_passes(self, seconds: int) -> None:
        self.market.act("time", seconds)
        self.market.act("orders_sweep")
        self.market.act("reconcile")

    @rule(which=some)
    def admin_refunds(self, which: int) -> None:
        self.market.act("admin_refunds", which)

    @rule(step=meanwhile)
    def something(self, step: tuple[str, Any]) -> None:
        self.market.act(*step)

    @precondition(lambda self: self.market.plan is None)
    @rule(steps=st.integers(1, 9), what=st.sampled_from(["crash", "doubt"]))
    def will_break(self, steps: int, what: str) -> None:
        self.market.will(steps, what)

    @precondition(lambda self: self.market.plan is None)
    @rule(steps=st.integers(1, 9), actions=st.lists(meanwhile, min_size=1, max_size=6))
    def will_be_paused(self, steps: int, actions: list[tuple[str, Any]]) -> None:
        self.market.will(steps, "pause", actions)

    @rule()
    def whole_sale(self) -> None:
        """The ordinary way, to reach its end often enough."""
        for step in ("deliver_to_payments", "pay", "deliver_to_orders", "deliver_to_payments"):
            self.market.act(step, "visa" if step == "pay" else 0)
        self.market.act("errands")

    def teardown(self) -> None:
        try:
            self.market.come_to_rest()
            self.market.assert_promise()
        finally:
            self.market.close()


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
