"""The options of each command, apart from the workflows: the command line reads them without torch and GDAL."""
