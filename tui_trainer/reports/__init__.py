"""Reports of saved sessions: pages with pictures, and comparisons. matplotlib lives in `pictures` alone."""
