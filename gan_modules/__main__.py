"""``python -m gan_modules fit --config wgan_gp.yaml``: the command line, from any folder."""

import sys

from cli import main

if __name__ == "__main__":
    # what usage lines begin with
    sys.argv[0] = "python -m gan_modules"
    main()
