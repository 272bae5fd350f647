"""What tests, benchmarks and the chaos suite share: private engines, processes, proxies."""
