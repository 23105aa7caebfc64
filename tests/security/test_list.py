"""The list of attacks in docs/attacks.md names all of them, and no others."""

import re
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE.parents[1] / "docs" / "attacks.md"
ROW = re.compile(r"^\| [^|]+ \| `(test_\w+)` \| (\d+) \|", re.MULTILINE)


def wants() -> dict[str, list[str]]:
    """What attackers want, by file, in the words of the tests' names."""
    found = {
        path.stem: re.findall(r"^def test_an_attacker_(\w+)", path.read_text(), re.MULTILINE)
        for path in HERE.glob("test_*.py")
    }
    return {
        file: [name.removeprefix("wants_").replace("_", " ") for name in names]
        for file, names in found.items()
        if names
    }


def test_every_attack_is_in_the_list() -> None:
    text = LIST.read_text()
    sections = dict(
        re.findall(r"^`tests/security/(\w+)\.py`\. What(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    )
    listed = {
        file: [line.partition(":")[0].removeprefix("- ") for line in part.splitlines()[2:] if line]
        for file, part in sections.items()
    }
    assert {file: sorted(names) for file, names in listed.items()} == {
        file: sorted(names) for file, names in wants().items()
    }


def test_the_numbers_are_right() -> None:
    text = LIST.read_text()
    counted = {file: len(names) for file, names in wants().items()}
    assert {file: int(number) for file, number in ROW.findall(text)} == counted
    assert f"| all | | {sum(counted.values())} |" in text
