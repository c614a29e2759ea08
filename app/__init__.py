"""The program around ingest, builder and sinks: command line, replay, output."""
