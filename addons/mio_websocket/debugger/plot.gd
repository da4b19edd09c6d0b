@tool
extends Control
## One or more lines over the last two minutes, with the newest value of each.

## How many samples are kept: two minutes of two a second.
const SAMPLES := 240
const MARGIN := 8.0

## What is drawn, above the lines.
var title := ""
## The name of each line.
var labels: PackedStringArray = []
var colors: PackedColorArray = []
## From a value to the text that is shown for it.
var format := func(value: float) -> String: return "%d" % roundi(value)

var _lines: Array[PackedFloat64Array] = []


func _init(plot_title := "", line_labels: PackedStringArray = [], line_colors: PackedColorArray = []) -> void:
	title = plot_title
	labels = line_labels
	colors = line_colors
	custom_minimum_size = Vector2(220, 72) * EditorInterface.get_editor_scale()
	size_flags_horizontal = Control.SIZE_EXPAND_FILL
	size_flags_vertical = Control.SIZE_EXPAND_FILL
	clear()


## Adds a value to each line.
func add(values: PackedFloat64Array) -> void:
	for index: int in _lines.size():
		_lines[index].append(values[index])
		if _lines[index].size() > SAMPLES:
			_lines[index].remove_at(0)
	queue_redraw()


func clear() -> void:
	_lines.clear()
	for index: int in labels.size():
		_lines.append(PackedFloat64Array())
	queue_redraw()


func _draw() -> void:
	var font := get_theme_default_font()
	var font_size := get_theme_default_font_size()
	var small := maxi(font_size - 2, 8)
	var text := get_theme_color(&"font_color", &"Label")
	var area := Rect2(Vector2.ZERO, size)
	draw_style_box(get_theme_stylebox(&"panel", &"Tree"), area)
	area = area.grow(-MARGIN)
	var ascent := font.get_ascent(font_size)
	draw_string(font, area.position + Vector2(0, ascent), title, HORIZONTAL_ALIGNMENT_LEFT, -1, font_size, text)

	var highest := 0.0
	for line: PackedFloat64Array in _lines:
		for value: float in line:
			highest = maxf(highest, value)

	# The newest values, from the right.
	var right := area.end.x
	for index: int in range(_lines.size() - 1, -1, -1):
		var newest := 0.0 if _lines[index].is_empty() else _lines[index][-1]
		var legend := "%s %s" % [labels[index], format.call(newest)]
		var width := font.get_string_size(legend, HORIZONTAL_ALIGNMENT_LEFT, -1, small).x
		right -= width
		draw_string(font, Vector2(right, area.position.y + ascent), legend, HORIZONTAL_ALIGNMENT_LEFT, -1, small, colors[index])
		right -= 2 * MARGIN

	area.position.y += font.get_height(font_size) + MARGIN / 2
	area.size.y -= font.get_height(font_size) + MARGIN / 2
	var faint := Color(text, 0.12)
	for part: int in 3:
		var y := area.position.y + area.size.y * part / 2.0
		draw_line(Vector2(area.position.x, y), Vector2(area.end.x, y), faint)
	if highest <= 0.0:
		return
	var most: String = format.call(highest)
	draw_string(font, area.position + Vector2(0, font.get_ascent(small)), most, HORIZONTAL_ALIGNMENT_LEFT, -1, small, Color(text, 0.45))
	for index: int in _lines.size():
		_draw_values(_lines[index], area, highest, colors[index])


func _draw_values(line: PackedFloat64Array, area: Rect2, highest: float, color: Color) -> void:
	if line.size() < 2:
		return
	var points := PackedVector2Array()
	var step := area.size.x / (SAMPLES - 1)
	for index: int in line.size():
		var x := area.end.x - (line.size() - 1 - index) * step
		points.append(Vector2(x, area.end.y - line[index] / highest * area.size.y))
	draw_polyline(points, color, 1.5, true)
