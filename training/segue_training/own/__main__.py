"""`segue-finetune`, also as `python -m segue_training.own`."""

from __future__ import annotations

from segue_training.packages import missing_packages_named


def main() -> None:
    with missing_packages_named():
        from .command import main as command

        command()


if __name__ == "__main__":
    main()
