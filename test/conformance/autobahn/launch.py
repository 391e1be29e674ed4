# Why: starts Autobahn's fuzzing client from a folder of packages, as `pip --target` leaves them, with its namespace packages.
# It must stay readable for Python 2.7.
# Usage: launch.py PACKAGES SPEC
import site
import sys

packages, spec = sys.argv[1:]
site.addsitedir(packages)
sys.path.insert(0, packages)
sys.argv = ["wstest", "-m", "fuzzingclient", "-s", spec]
from autobahntestsuite.wstest import run  # noqa: E402

run()
