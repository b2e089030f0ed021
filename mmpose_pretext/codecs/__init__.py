"""Label codecs."""
