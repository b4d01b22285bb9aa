"""One small module for each format of export. Each recognises its own files and says so."""
