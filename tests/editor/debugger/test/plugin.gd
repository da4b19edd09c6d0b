@tool
extends EditorPlugin
## The debugger's "WebSocket" tab shows a game that runs elsewhere: one without a window, which was started with
## `--remote-debug`.

const Harness := preload("res://support/harness.gd")

const ADDON := "mio_websocket"
const SECONDS := 30.0

var t := Harness.new()


func _enter_tree() -> void:
	# Not while the project is imported.
	if OS.get_cmdline_user_args().has("test"):
		_run.call_deferred()


func _run() -> void:
	t.begin(get_tree(), 100.0)
	if not t.ready():
		return
	while EditorInterface.get_resource_filesystem().is_scanning():
		await get_tree().process_frame
	EditorInterface.set_plugin_enabled(ADDON, true)
	var autoload: String = ProjectSettings.get_setting("autoload/MioWebSocketReporter", "")
	t.check("the plugin makes the reporter an autoload", autoload.begins_with("*"), autoload)
	t.expect_error("404 instead of 101")
	ProjectSettings.save()
	var game := OS.create_process(OS.get_environment("ENGINE"), [
		"--headless", "--path", ProjectSettings.globalize_path("res://"),
		"--remote-debug", OS.get_environment("DEBUG_SERVER"),
	])
	await _watch()
	OS.kill(game)

	EditorInterface.set_plugin_enabled(ADDON, false)
	t.check("it takes it away again", not ProjectSettings.has_setting("autoload/MioWebSocketReporter"))
	await get_tree().process_frame
	t.finish()


func _watch() -> void:
	var connections := await _until(func() -> bool: return _rows("Connections").size() == 3)
	t.check("three players are listed", connections, _rows("Connections"))
	t.check("with their round trips", await _until(_has_round_trips), _rows("Connections"))
	t.check("and what they send a second", await _until(_has_traffic), _rows("Connections"))
	await _keeps_selection()
	var counts := _rows("Handshakes")
	t.check("refusals are counted", PackedStringArray(["refused: path", "1"]) in counts, counts)
	t.check("the kick shows with its reason", await _until(_has_kick), _rows("Closed"))
	t.check("two players are left", await _until(func() -> bool: return _rows("Connections").size() == 2))


## Who looks at a row does not lose it when the next numbers come.
func _keeps_selection() -> void:
	var list := _list("Connections")
	list.set_selected(list.get_root().get_child(1), 0)
	var id := list.get_selected().get_text(0)
	var age := list.get_selected().get_text(7)
	var later := await _until(func() -> bool: return _rows("Connections").any(
		func(row: PackedStringArray) -> bool: return row[0] == id and row[7] != age
	))
	t.check("numbers come", later)
	t.check("a row stays selected", list.get_selected() != null and list.get_selected().get_text(0) == id)


func _has_round_trips() -> bool:
	return _rows("Connections").all(func(row: PackedStringArray) -> bool: return row[2].ends_with(" ms"))


func _has_traffic() -> bool:
	return _rows("Connections").all(
		func(row: PackedStringArray) -> bool: return row[5].ends_with("/s") and not row[5].begins_with("0 ")
	)


func _has_kick() -> bool:
	return _rows("Closed").any(
		func(row: PackedStringArray) -> bool: return row.slice(2, 5) == PackedStringArray(["4001", "kicked", "yes"]) and row[5].begins_with("server on port ")
	)


func _until(condition: Callable) -> bool:
	var end := Time.get_ticks_msec() + SECONDS * 1000.0
	while not condition.call():
		if Time.get_ticks_msec() > end:
			return false
		await get_tree().process_frame
	return true


## The texts of a list of the tab, row by row.
func _rows(list: String) -> Array:
	var rows := []
	var tree := _list(list)
	if tree == null or tree.get_root() == null:
		return rows
	for item: TreeItem in tree.get_root().get_children():
		var texts := PackedStringArray()
		for column: int in tree.columns:
			texts.append(item.get_text(column))
		rows.append(texts)
	return rows


func _list(list: String) -> Tree:
	for tab: Node in EditorInterface.get_base_control().find_children("WebSocket", "", true, false):
		for tree: Tree in tab.find_children(list, "Tree", true, false):
			return tree
	return null
