class_name Overlay
extends PanelContainer
## What the connection does, as curves. F3 shows and hides it.

var _meter: Meter
var _graphs: Dictionary[Meter.Kind, Graph] = {}


func _init(meter: Meter) -> void:
	_meter = meter
	visible = false
	mouse_filter = MOUSE_FILTER_IGNORE
	add_theme_stylebox_override(&"panel", Look.box(Color(Look.PANEL, 0.86), 14, Look.GAP, Look.LINE))
	var row := HBoxContainer.new()
	row.add_theme_constant_override(&"separation", Look.GAP)
	add_child(row)
	_graphs = {
		Meter.Kind.BYTES_IN: Graph.new("in", Look.SKY, _rate),
		Meter.Kind.BYTES_OUT: Graph.new("out", Look.MINT, _rate),
		Meter.Kind.RTT: Graph.new("round trip", Look.AMBER, func(value: float) -> String: return "%.1f ms" % value),
		Meter.Kind.QUEUE: Graph.new("send queue", Look.CORAL, _bytes),
		Meter.Kind.PLAYERS: Graph.new("players", Look.VIOLET, func(value: float) -> String: return "%d" % value),
	}
	for kind in _graphs:
		row.add_child(_graphs[kind])
	meter.measured.connect(_update)
	visibility_changed.connect(_update)


func _unhandled_key_input(event: InputEvent) -> void:
	var key := event as InputEventKey
	if key.pressed and not key.echo and key.keycode == KEY_F3:
		visible = not visible


func _update() -> void:
	if not visible:
		return
	for kind in _graphs:
		# The engine's class knows little of itself.
		_graphs[kind].visible = not is_nan(_meter.latest(kind))
		_graphs[kind].display(_meter.series[kind])


static func _rate(value: float) -> String:
	return _bytes(value) + "/s"


static func _bytes(value: float) -> String:
	return "%d B" % value if value < 1000.0 else "%.1f kB" % (value / 1000.0)
