"""Who may do what: every route of every service, and what each kind of person is answered.

A column is the answer to: nobody, the owner, somebody else, the seller of the ticket, an admin.
Requests that change something are sent empty, so that 400 says: let in, but nothing was asked for.
303 is the way to sign-in for nobody, and the way on after a form for others.

What holds for every route has no column: an expired, a revoked and a forged session are answered as
nobody; an API token without the scope gets 403.
"""

from typing import NamedTuple

KINDS = ("nobody", "owner", "other", "seller", "admin")

TABLE = """
# auth: everybody is the owner of their own account
GET    /account                                303 200 200 200 200
GET    /account/covers/<motif>-<key>.svg       404 404 404 404 404
GET    /account/static/<name>                  404 404 404 404 404
GET    /account/mails                          200 200 200 200 200
GET    /account/delete                         303 200 200 200 200
POST   /account/delete                         303 400 400 400 400
GET    /account/email                          303 200 200 200 200
POST   /account/email                          303 400 400 400 400
GET    /account/email/confirm                  400 400 400 400 400
POST   /account/email/confirm                  400 400 400 400 400
GET    /account/export                         303 200 200 200 200
GET    /account/forgotten                      200 200 200 200 200
POST   /account/forgotten                      400 400 400 400 400
GET    /account/password                       303 200 200 200 200
POST   /account/password                       303 400 400 400 400
GET    /account/reset                          400 400 400 400 400
POST   /account/reset                          400 400 400 400 400
GET    /account/second-factor                  303 200 200 200 200
POST   /account/second-factor                  303 400 400 400 400
POST   /account/second-factor/off              303 400 400 400 400
POST   /account/sessions/<session_id>/end      303 404 404 404 404
GET    /account/signin                         200 303 303 303 303
POST   /account/signin                         400 400 400 400 400
POST   /account/signin/code                    400 400 400 400 400
POST   /account/signout-elsewhere              303 303 303 303 303
GET    /account/signup                         200 303 303 303 303
POST   /account/signup                         400 400 400 400 400
GET    /account/tokens                         303 200 200 200 200
POST   /account/tokens                         303 400 400 400 400
POST   /account/tokens/<token_id>/revoke       303 404 404 404 404
POST   /account/verification                   303 303 303 303 303
GET    /account/verify                         400 400 400 400 400
POST   /account/verify                         400 400 400 400 400
GET    /account/admin                          303 403 403 403 200
GET    /account/admin/log                      303 403 403 403 200
GET    /account/admin/log.csv                  303 403 403 403 200
GET    /account/admin/log.jsonl                303 403 403 403 200
POST   /account/admin/users/<user_id>/disable  303 403 403 403 400
POST   /account/admin/users/<user_id>/enable   303 403 403 403 400
DELETE /api/users/account                      401 400 400 400 400
GET    /api/users/currentuser                  200 200 200 200 200
GET    /api/users/docs                         200 200 200 200 200
POST   /api/users/email                        401 400 400 400 400
POST   /api/users/email/confirm                400 400 400 400 400
GET    /api/users/export                       401 200 200 200 200
PUT    /api/users/factor                       401 400 400 400 400
DELETE /api/users/factor                       401 400 400 400 400
POST   /api/users/factor/setup                 401 200 200 200 200
GET    /api/users/jwks.json                    200 200 200 200 200
GET    /api/users/openapi.json                 200 200 200 200 200
PUT    /api/users/password                     401 400 400 400 400
POST   /api/users/password/forgotten           400 400 400 400 400
POST   /api/users/password/reset               400 400 400 400 400
GET    /api/users/sessions                     401 200 200 200 200
DELETE /api/users/sessions                     401 204 204 204 204
DELETE /api/users/sessions/<session_id>        401 404 404 404 404
POST   /api/users/signin                       400 400 400 400 400
POST   /api/users/signup                       400 400 400 400 400
GET    /api/users/tokens                       401 200 200 200 200
POST   /api/users/tokens                       401 400 400 400 400
DELETE /api/users/tokens/<token_id>            401 404 404 404 404
POST   /api/users/verification                 401 400 400 400 400
POST   /api/users/verification/confirm         400 400 400 400 400

# tickets: the owner of a ticket is its seller
GET    /                                       200 200 200 200 200
GET    /api/docs                               200 200 200 200 200
POST   /api/tickets                            401 400 400 400 400
GET    /api/tickets                            200 200 200 200 200
GET    /api/tickets/<ticket_id>                200 200 200 200 200
PUT    /api/tickets/<ticket_id>                401 400 400 400 400
GET    /api/tickets/docs                       200 200 200 200 200
GET    /api/tickets/openapi.json               200 200 200 200 200
GET    /tickets                                200 200 200 200 200
POST   /tickets                                303 400 400 400 400
GET    /tickets/<ticket_id>                    200 200 200 200 200
POST   /tickets/<ticket_id>                    303 403 403 400 403
GET    /tickets/<ticket_id>/edit               303 403 403 200 403
POST   /tickets/<ticket_id>/quantity           303 403 403 400 403
GET    /tickets/<ticket_id>/stub               303 303 303 303 303
GET    /tickets/<ticket_id>/withdraw           303 403 403 200 403
GET    /tickets/admin/<key>                    303 403 403 403 200
POST   /tickets/admin/<ticket_id>/withdraw     303 403 403 403 400
POST   /tickets/check                          303 400 400 400 400
GET    /tickets/covers/<motif>-<key>.svg       404 404 404 404 404
GET    /tickets/mine                           303 200 200 200 200
GET    /tickets/new                            303 200 200 200 200
GET    /tickets/static/<name>                  404 404 404 404 404

# orders: the owner of an order is its buyer
POST   /api/orders                             401 400 400 400 400
GET    /api/orders                             401 200 200 200 200
GET    /api/orders/<order_id>                  401 200 403 403 403
DELETE /api/orders/<order_id>                  401 400 403 403 403
GET    /api/orders/docs                        200 200 200 200 200
GET    /api/orders/openapi.json                200 200 200 200 200
GET    /orders                                 303 200 200 200 200
POST   /orders                                 303 400 400 400 400
GET    /orders/<order_id>                      303 200 403 403 403
GET    /orders/<order_id>/calendar.ics         303 200 403 403 403
POST   /orders/<order_id>/cancel               303 400 403 403 403
GET    /orders/<order_id>/receipt              303 200 403 403 403
GET    /orders/<order_id>/receipt.pdf          303 200 403 403 403
GET    /orders/<order_id>/tickets              303 200 403 403 403
GET    /orders/<order_id>/tickets.pdf          303 200 403 403 403
GET    /orders/admin/<key>                     303 403 403 403 200
GET    /orders/admin/<order_id>/story          303 403 403 403 200
GET    /orders/check/<code>                    303 403 403 200 403
GET    /orders/covers/<motif>-<key>.svg        404 404 404 404 404
GET    /orders/sales                           303 200 200 200 200
GET    /orders/sales.csv                       303 200 200 200 200
GET    /orders/sales/<ticket_id>               303 403 403 200 403
GET    /orders/sales/<ticket_id>/buyers.csv    303 403 403 200 403
GET    /orders/static/<name>                   404 404 404 404 404

# payments: the owner of a payment is the order's buyer
POST   /api/payments                           401 400 400 400 400
GET    /api/payments/<payment_id>              401 200 403 403 403
GET    /api/payments/docs                      200 200 200 200 200
GET    /api/payments/openapi.json              200 200 200 200 200
POST   /api/payments/webhook                   400 400 400 400 400
POST   /payments                               303 400 400 400 400
GET    /payments/admin/<key>                   303 403 403 403 200
POST   /payments/admin/<order_id>/refund       303 403 403 403 400
GET    /payments/covers/<motif>-<key>.svg      404 404 404 404 404
GET    /payments/new?order=<order_id>          303 200 403 403 403
GET    /payments/return/<order_id>             303 303 403 403 403
GET    /payments/static/<name>                 404 404 404 404 404

# live: what is told of a person is told to them alone; whoever names another's order hears nothing
GET    /live?topic=orders                      401 200 200 200 200

# what ends a sale or a session comes last
POST   /tickets/<ticket_id>/withdraw           303 403 403 303 403
DELETE /api/tickets/<ticket_id>                401 403 403 204 403
POST   /api/users/signout                      200 200 200 200 200
POST   /account/signout                        303 303 303 303 303
"""


class Row(NamedTuple):
    method: str
    path: str
    expected: dict[str, int]

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.path.partition("?")[0]


def rows() -> list[Row]:
    lines = [line.split() for line in TABLE.splitlines() if line and not line.startswith("#")]
    return [
        Row(method, path, dict(zip(KINDS, map(int, answers), strict=True)))
        for method, path, *answers in lines
    ]
