class_name ArenaView
extends Control
## The arena with all that is in it, as large as there is room.

var lens := Lens.new()


func _init(room: Room) -> void:
	clip_contents = true
	size_flags_horizontal = SIZE_EXPAND_FILL
	size_flags_vertical = SIZE_EXPAND_FILL
	mouse_filter = MOUSE_FILTER_PASS
	add_child(FloorLayer.new(lens))
	add_child(OrbsLayer.new(lens, room.world))
	add_child(PlayersLayer.new(lens, room))
	add_child(SparksLayer.new(lens, room.world))
	resized.connect(func() -> void: lens.fit(size))


func mouse_place() -> Vector2:
	return lens.place(get_local_mouse_position())
