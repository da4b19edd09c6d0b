extends RefCounted
## The arguments of the examples: those behind -- in the command line.


## The value of --key=value.
static func text(key: String, default: String) -> String:
	var start := "--%s=" % key
	for word: String in OS.get_cmdline_user_args():
		if word.begins_with(start):
			return word.substr(start.length())
	return default
