class_name MatchScreen
extends Control
## A match as its player sees it: the arena, who is in, the chat.

signal left

const COLUMN := 280.0

var overlay: Overlay

var _session: Session
var _clock := Look.label("", &"HeadLabel")


func _init(session: Session) -> void:
	_session = session
	set_anchors_preset(PRESET_FULL_RECT)
	var ground := ColorRect.new()
	ground.color = Look.NIGHT
	ground.set_anchors_preset(PRESET_FULL_RECT)
	add_child(ground)

	var arena := ArenaView.new(session.room)
	var chat := ChatBox.new(session.room)
	_add_row(arena, chat)

	var meter := Meter.new(session)
	add_child(meter)
	overlay = Overlay.new(meter)
	overlay.set_anchors_and_offsets_preset(PRESET_BOTTOM_LEFT, PRESET_MODE_MINSIZE, 28)
	overlay.grow_vertical = GROW_DIRECTION_BEGIN
	add_child(overlay)

	var pilot := Human.new(session)
	pilot.mouse = arena.mouse_place
	pilot.is_typing = chat.is_typing
	add_child(pilot)

	var banner := Banner.new(session)
	banner.retry_asked.connect(session.retry)
	banner.menu_asked.connect(func() -> void: left.emit())
	arena.add_child(banner)


func _add_row(arena: ArenaView, chat: ChatBox) -> void:
	var margin := MarginContainer.new()
	margin.set_anchors_preset(PRESET_FULL_RECT)
	for side: StringName in [&"margin_left", &"margin_top", &"margin_right", &"margin_bottom"]:
		margin.add_theme_constant_override(side, Look.PAD)
	add_child(margin)
	var row := HBoxContainer.new()
	row.add_theme_constant_override(&"separation", Look.PAD)
	margin.add_child(row)
	row.add_child(arena)

	var column := VBoxContainer.new()
	column.custom_minimum_size.x = COLUMN
	column.add_theme_constant_override(&"separation", Look.PAD)
	row.add_child(column)
	column.add_child(_panel(_head()))
	var scores := Scoreboard.new(_session.room, _session.is_server())
	scores.kick_asked.connect(func(id: int) -> void: _session.kick(id, "the host wants you to leave"))
	column.add_child(_panel(scores))
	var chat_panel := _panel(chat)
	chat_panel.size_flags_vertical = SIZE_EXPAND_FILL
	column.add_child(chat_panel)


func _head() -> HBoxContainer:
	var row := HBoxContainer.new()
	_clock.size_flags_horizontal = SIZE_EXPAND_FILL
	row.add_child(_clock)
	var leave := Button.new()
	leave.text = "Leave"
	leave.focus_mode = FOCUS_NONE
	leave.pressed.connect(func() -> void: left.emit())
	row.add_child(leave)
	return row


func _process(_delta: float) -> void:
	var seconds := ceili(_session.room.world.seconds_left())
	@warning_ignore("integer_division")
	_clock.text = "Round  %d:%02d" % [seconds / 60, seconds % 60]


static func _panel(content: Control) -> PanelContainer:
	var panel := PanelContainer.new()
	panel.add_child(content)
	return panel
