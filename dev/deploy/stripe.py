"""Starts the development Stripe with its signing secret from a file, as containers get secrets."""

import os
import sys
from pathlib import Path

from dev.stripe.__main__ import main
from dev.stripe.subscription import WEBHOOK_EVENTS

if __name__ == "__main__":
    secret = Path("/run/secrets/stripe_webhook_secret").read_text()
    os.environ["STRIPE_WEBHOOK_SECRET"] = secret
    sys.argv += ["--webhook-events", ",".join(WEBHOOK_EVENTS)]
    main()
