class_name Menu
extends Control
## The first screen: who one is, and which match to host or join.

signal host_asked(port: int, title: String, bots: int)
signal join_asked(url: String, title: String)

const MOST_BOTS := 36

var _title := LineEdit.new()
var _address := LineEdit.new()
var _port := LineEdit.new()
var _secure := CheckBox.new()
var _bots := HSlider.new()
var _bots_text := Look.label("", &"MutedLabel")
var _problem := Look.label("")


func _init() -> void:
	set_anchors_preset(PRESET_FULL_RECT)
	add_child(Backdrop.new())
	var center := CenterContainer.new()
	center.set_anchors_preset(PRESET_FULL_RECT)
	add_child(center)
	var panel := PanelContainer.new()
	panel.custom_minimum_size.x = 440.0
	panel.add_theme_stylebox_override(&"panel", Look.box(Color(Look.PANEL, 0.92), 20, 28, Look.LINE))
	center.add_child(panel)
	var column := VBoxContainer.new()
	column.add_theme_constant_override(&"separation", 12)
	panel.add_child(column)
	_fill(column)


## A problem of the last attempt, or nothing.
func tell(problem: String) -> void:
	_problem.text = problem
	_problem.visible = not problem.is_empty()


func set_title(title: String) -> void:
	_title.text = title


func _fill(column: VBoxContainer) -> void:
	var title := Look.label("Mio Arena", &"TitleLabel")
	title.horizontal_alignment = HORIZONTAL_ALIGNMENT_CENTER
	column.add_child(title)
	var peer_class := "MioWebSocketMultiplayerPeer" if MioWebSocket.is_native() else "the engine's WebSocketMultiplayerPeer"
	var about := Look.label("collect orbs over %s" % peer_class, &"MutedLabel")
	about.horizontal_alignment = HORIZONTAL_ALIGNMENT_CENTER
	column.add_child(about)
	column.add_child(_named("Name", _field(_title, Crowd.NAMES[randi() % Crowd.NAMES.size()])))
	_title.max_length = Rules.NAME_LENGTH
	var where := HBoxContainer.new()
	where.add_theme_constant_override(&"separation", Look.GAP)
	var address := _named("Address", _field(_address, "127.0.0.1"))
	address.size_flags_horizontal = SIZE_EXPAND_FILL
	where.add_child(address)
	where.add_child(_named("Port", _field(_port, str(Rules.PORT))))
	column.add_child(where)
	_secure.text = "Encrypted (wss)"
	column.add_child(_secure)
	_add_bots(column)
	_problem.add_theme_color_override(&"font_color", Look.CORAL)
	_problem.autowrap_mode = TextServer.AUTOWRAP_WORD_SMART
	_problem.visible = false
	column.add_child(_problem)
	_add_buttons(column)


func _add_bots(column: VBoxContainer) -> void:
	var row := HBoxContainer.new()
	row.add_theme_constant_override(&"separation", 12)
	_bots.max_value = MOST_BOTS
	_bots.size_flags_horizontal = SIZE_EXPAND_FILL
	_bots.size_flags_vertical = SIZE_SHRINK_CENTER
	_bots_text.custom_minimum_size.x = 88.0
	_bots.value = 12
	_bots.value_changed.connect(func(_count: float) -> void: _tell_bots())
	_tell_bots()
	row.add_child(_bots)
	row.add_child(_bots_text)
	row.visible = not OS.has_feature("web")
	column.add_child(row)


func _tell_bots() -> void:
	_bots_text.text = "host %d bots" % _bots.value


func _add_buttons(column: VBoxContainer) -> void:
	var row := HBoxContainer.new()
	row.add_theme_constant_override(&"separation", Look.GAP)
	var host := Button.new()
	host.text = "Host"
	host.size_flags_horizontal = SIZE_EXPAND_FILL
	host.pressed.connect(_on_host_pressed)
	# A page cannot listen.
	host.visible = not OS.has_feature("web")
	var join := Button.new()
	join.text = "Join"
	join.theme_type_variation = &"MainButton"
	join.size_flags_horizontal = SIZE_EXPAND_FILL
	join.pressed.connect(func() -> void: join_asked.emit(_url(), _title.text))
	row.add_child(host)
	row.add_child(join)
	column.add_child(row)


func _on_host_pressed() -> void:
	var port := _port.text.to_int()
	if port < 1 or port > 65535:
		tell("%s is no port" % _port.text)
	else:
		host_asked.emit(port, _title.text, int(_bots.value))


func _url() -> String:
	var host := _address.text.strip_edges()
	if host.contains(":") and not host.begins_with("["):
		host = "[%s]" % host
	return "%s://%s:%s" % ["wss" if _secure.button_pressed else "ws", host, _port.text.strip_edges()]


static func _field(field: LineEdit, text: String) -> LineEdit:
	field.text = text
	field.size_flags_horizontal = SIZE_EXPAND_FILL
	return field


static func _named(title: String, field: Control) -> VBoxContainer:
	var column := VBoxContainer.new()
	column.add_theme_constant_override(&"separation", 4)
	column.add_child(Look.label(title, &"MutedLabel"))
	column.add_child(field)
	return column
