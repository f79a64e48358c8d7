"""``python -m egru_cli`` is the command ``egru``."""

from egru_cli.main import main

if __name__ == "__main__":
    main()
