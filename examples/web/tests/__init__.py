"""The page in headless Chromium. `make web-test` runs these tests, and nothing else does."""
