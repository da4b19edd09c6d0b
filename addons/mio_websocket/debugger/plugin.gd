@tool
extends EditorPlugin
## Puts the "WebSocket" tab into the debugger, and the node that reports to it into the game.

const REPORTER := "MioWebSocketReporter"

var _debugger := preload("debugger_plugin.gd").new()


func _enable_plugin() -> void:
	add_autoload_singleton(REPORTER, "reporter.gd")


func _disable_plugin() -> void:
	remove_autoload_singleton(REPORTER)


func _enter_tree() -> void:
	add_debugger_plugin(_debugger)


func _exit_tree() -> void:
	remove_debugger_plugin(_debugger)
