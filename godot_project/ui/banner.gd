class_name Banner
extends CenterContainer
## Covers the arena while there is no connection: what happened, and what can be done.

signal retry_asked
signal menu_asked

var _session: Session
var _title := Look.label("", &"HeadLabel")
var _text := Look.label("", &"MutedLabel")
var _retry := Button.new()


func _init(session: Session) -> void:
	_session = session
	set_anchors_preset(PRESET_FULL_RECT)
	var panel := PanelContainer.new()
	panel.custom_minimum_size.x = 400.0
	panel.add_theme_stylebox_override(&"panel", Look.box(Color(Look.PANEL, 0.96), 16, 24, Look.LINE))
	var column := VBoxContainer.new()
	column.add_theme_constant_override(&"separation", 10)
	panel.add_child(column)
	add_child(panel)
	_title.horizontal_alignment = HORIZONTAL_ALIGNMENT_CENTER
	_title.add_theme_font_size_override(&"font_size", 22)
	_text.horizontal_alignment = HORIZONTAL_ALIGNMENT_CENTER
	_text.autowrap_mode = TextServer.AUTOWRAP_WORD_SMART
	_retry.theme_type_variation = &"MainButton"
	_retry.text = "Reconnect now"
	_retry.pressed.connect(func() -> void: retry_asked.emit())
	var menu := Button.new()
	menu.text = "Back to the menu"
	menu.pressed.connect(func() -> void: menu_asked.emit())
	for part: Control in [_title, _text, _retry, menu]:
		column.add_child(part)


func _draw() -> void:
	draw_rect(Rect2(Vector2.ZERO, size), Color(Look.NIGHT, 0.6))


func _process(_delta: float) -> void:
	visible = _session.state != Session.State.IN
	_retry.disabled = _session.state == Session.State.CONNECTING
	_text.text = _session.reason
	_text.visible = not _session.reason.is_empty()
	match _session.state:
		Session.State.CONNECTING:
			_title.text = "Connecting …"
		Session.State.WAITING:
			_title.text = "Reconnecting in %d s" % ceili(_session.seconds_to_wait())
		Session.State.OUT:
			_title.text = "You are out"
