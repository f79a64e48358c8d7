"""The benchmark and the results: measurements that run in a checkout and are not installed."""
