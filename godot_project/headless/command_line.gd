class_name CommandLine
extends RefCounted
## What the command line says after its `--`: `--flag`, `--key value` or `--key=value`.

var _values: Dictionary[String, String] = {}


func _init(words := OS.get_cmdline_user_args()) -> void:
	var key := ""
	for word in words:
		if word.begins_with("--"):
			key = word.trim_prefix("--").get_slice("=", 0)
			_values[key] = word.substr(word.find("=") + 1) if word.contains("=") else ""
		elif not key.is_empty():
			_values[key] = word
			key = ""


func has(key: String) -> bool:
	return _values.has(key)


func text(key: String, otherwise: String) -> String:
	return _values.get(key, otherwise)


func number(key: String, otherwise: float) -> float:
	var value := text(key, "")
	return value.to_float() if value.is_valid_float() else otherwise
