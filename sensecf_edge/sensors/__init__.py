"""Raw sensor exports in, daily records out: readers of many formats, one common form, one pure function that makes days."""
