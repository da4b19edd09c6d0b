class_name Layer
extends Control
## One of the sheets that the arena is drawn on, of the arena's size.

var lens: Lens


func _init(with_lens: Lens) -> void:
	lens = with_lens
	mouse_filter = MOUSE_FILTER_IGNORE
	set_anchors_preset(PRESET_FULL_RECT)
