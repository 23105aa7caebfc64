"""`python -m dev.chaos`: exit code 0 if all promises held, 1 if not, 2 for wrong settings."""

import os
import sys

from dev.chaos.run import Run
from dev.chaos.settings import VARIABLES, SettingsError, read


def main() -> int:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print("settings, from the environment:")
        print("\n".join(f"  {name:14} {text}" for name, text in VARIABLES.items()))
        return 0
    try:
        settings = read(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return Run(settings).run()


if __name__ == "__main__":
    raise SystemExit(main())
