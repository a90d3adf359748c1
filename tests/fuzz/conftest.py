from importlib.util import find_spec

_PACKAGES = ("hypothesis", "accelerate", "datasets", "geopandas", "rasterio", "yaml")

# Without the packages of `score-hf[dev]` there is nothing to test here.
collect_ignore_glob = [] if all(map(find_spec, _PACKAGES)) else ["test_*.py"]
