extends Logger
## Counts what the engine prints as errors and warnings, so that a flood is noticed.

var count := 0
var lines := PackedStringArray()
var _mutex := Mutex.new()


static func start() -> Logger:
	var counter: Logger = new()
	OS.add_logger(counter)
	return counter


func stop() -> void:
	OS.remove_logger(self)


func _log_error(
	_function: String,
	_file: String,
	_line: int,
	code: String,
	rationale: String,
	_notify: bool,
	_type: int,
	_backtraces: Array[ScriptBacktrace]
) -> void:
	_mutex.lock()
	count += 1
	if lines.size() < 50:
		lines.append(code if rationale.is_empty() else rationale)
	_mutex.unlock()
