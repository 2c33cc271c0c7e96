"""wenmo: small Chinese language models that learn to write, one reproducible pipeline."""
