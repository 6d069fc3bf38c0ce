"""Images, their tracing by VTracer in worker processes, and what it came to: what `vectorize` trains on."""
