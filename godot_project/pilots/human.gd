class_name Human
extends Pilot
## Arrow keys or WASD, or a pressed mouse button to go there; the space bar dashes.

const KEYS: Dictionary[Key, Vector2] = {
	KEY_LEFT: Vector2.LEFT, KEY_RIGHT: Vector2.RIGHT, KEY_UP: Vector2.UP, KEY_DOWN: Vector2.DOWN,
	KEY_A: Vector2.LEFT, KEY_D: Vector2.RIGHT, KEY_W: Vector2.UP, KEY_S: Vector2.DOWN,
}

## Where the mouse is in the arena.
var mouse := Callable()
## Whether keys are typed into something.
var is_typing := Callable()


func direction(me: Player, _delta: float) -> Vector2:
	if is_typing.call():
		return Vector2.ZERO
	var way := Vector2.ZERO
	for key in KEYS:
		if Input.is_physical_key_pressed(key):
			way += KEYS[key]
	var target: Vector2 = mouse.call()
	if way == Vector2.ZERO and Input.is_mouse_button_pressed(MOUSE_BUTTON_LEFT) and Rules.ARENA.has_point(target):
		way = (target - me.place) / 60.0
	return way


func wants_to_dash(_me: Player) -> bool:
	return Input.is_physical_key_pressed(KEY_SPACE) and not is_typing.call()
