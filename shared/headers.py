"""What every answer tells a browser, so that a page can do and show nothing but what is ours."""

# What no page of ours asks a person for. Payments by wallet are left to Stripe's own form.
_REFUSED = "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), usb=()"


def protective(*, secure: bool, form_targets: str = "") -> dict[str, str]:
    """The headers of an answer, where it says nothing else itself."""
    headers = {
        "Content-Security-Policy": content_policy(form_targets),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",  # what `frame-ancestors` says, for old browsers
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": _REFUSED,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    # A browser that was told once goes on with TLS alone; on plain HTTP it would not listen.
    return headers | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})


def content_policy(
    form_targets: str = "", *, script: str = "", frame: str = "'none'", connect: str = ""
) -> str:
    """What a page may load, and where its forms may lead: this site, and the origins given."""
    return (
        f"default-src 'none'; script-src {_own(script)}; style-src 'self'; "
        f"img-src 'self' data:; connect-src {_own(connect)}; font-src 'self'; "
        f"manifest-src 'self'; base-uri 'none'; frame-src {frame}; "
        f"frame-ancestors 'none'; form-action {_own(form_targets)}"
    )


def _own(origins: str) -> str:
    return f"'self' {origins}".strip()
