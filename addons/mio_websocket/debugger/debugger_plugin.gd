@tool
extends EditorDebuggerPlugin
## Gives each debugger session, of a game started here or of a remote one, a tab of its own.

const Tab := preload("tab.gd")
const Reporter := preload("reporter.gd")

var _tabs: Dictionary = {}


func _has_capture(prefix: String) -> bool:
	return prefix == Reporter.PREFIX


func _capture(message: String, data: Array, session_id: int) -> bool:
	if message != "%s:%s" % [Reporter.PREFIX, Reporter.SNAPSHOT] or not _tabs.has(session_id):
		return false
	# A game of another version of the addon may say something else.
	if data.size() == 1 and data[0] is Dictionary:
		_tabs[session_id].show_snapshot(data[0] as Dictionary)
	return true


func _setup_session(session_id: int) -> void:
	var tab := Tab.new()
	tab.name = "WebSocket"
	var session := get_session(session_id)
	session.started.connect(tab.clear)
	session.add_session_tab(tab)
	_tabs[session_id] = tab
