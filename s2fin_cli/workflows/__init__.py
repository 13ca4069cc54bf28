"""One module a command: options in, files and a result out. Nothing here prints."""
