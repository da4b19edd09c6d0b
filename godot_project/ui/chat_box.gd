class_name ChatBox
extends VBoxContainer
## What people say, who comes and goes, and a line to say something.

const KEPT := 60

var _room: Room
var _lines := RichTextLabel.new()
var _entry := LineEdit.new()


func _init(room: Room) -> void:
	_room = room
	size_flags_vertical = SIZE_EXPAND_FILL
	add_theme_constant_override(&"separation", Look.GAP)
	add_child(Look.label("Chat", &"HeadLabel"))
	_lines.bbcode_enabled = false
	_lines.scroll_following = true
	_lines.size_flags_vertical = SIZE_EXPAND_FILL
	_lines.focus_mode = FOCUS_NONE
	_lines.add_theme_font_size_override(&"normal_font_size", 13)
	_lines.add_theme_constant_override(&"line_separation", 2)
	add_child(_lines)
	_entry.placeholder_text = "Enter to chat"
	_entry.max_length = Rules.CHAT_LENGTH
	_entry.text_submitted.connect(_on_submitted)
	add_child(_entry)
	room.world.heard.connect(_on_heard)
	room.world.entered.connect(func(player: Player) -> void: note("%s joins" % player.title))
	room.world.left.connect(func(player: Player, why: String) -> void: note("%s %s" % [player.title, why]))
	room.world.round_ended.connect(_on_round_ended)


func is_typing() -> bool:
	return _entry.has_focus()


func note(text: String, color := Look.MUTED) -> void:
	_begin()
	_lines.push_color(color)
	_lines.add_text(text)
	_lines.pop()


func _unhandled_key_input(event: InputEvent) -> void:
	var key := event as InputEventKey
	if key.pressed and key.keycode in [KEY_ENTER, KEY_KP_ENTER]:
		_entry.grab_focus()
		get_viewport().set_input_as_handled()


func _on_submitted(text: String) -> void:
	if not text.is_empty() and _room.me() != null:
		_room.say.rpc_id(1, text)
	_entry.clear()
	_entry.release_focus()


func _on_heard(title: String, text: String) -> void:
	_begin()
	_lines.push_color(Look.player_color(title))
	_lines.add_text(title + "  ")
	_lines.pop()
	_lines.add_text(text)


func _on_round_ended(winner: String, score: int) -> void:
	note("A new round begins" if winner.is_empty() else "%s wins the round with %d" % [winner, score], Look.AMBER)


func _begin() -> void:
	if _lines.get_paragraph_count() > KEPT:
		_lines.remove_paragraph(0)
	if not _lines.get_parsed_text().is_empty():
		_lines.newline()
