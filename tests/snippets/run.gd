extends SceneTree
## Runs the snippet that was written into this project: as a node of the tree, for half a second and until its
## `_ready` has come to its end.

const SCRIPT := "res://snippet.gd"
const FRAMES := 30
const MOST_FRAMES := 600
## `script.rs` has it set at the end of `_ready`.
const END := &"is_at_its_end"
## What a server's administrator has in user://.
const USER_FILES := {
	"user://fullchain.pem": "res://server.crt",
	"user://privkey.pem": "res://server.key",
}


func _initialize() -> void:
	Engine.max_fps = 60
	for file: String in USER_FILES:
		DirAccess.copy_absolute(
			ProjectSettings.globalize_path(USER_FILES[file]), ProjectSettings.globalize_path(file)
		)
	var script: GDScript = load(SCRIPT)
	if script == null or not script.can_instantiate():
		print("FAIL it cannot be used")
		quit(1)
		return
	var instance: Object = script.new()
	if instance is Node:
		root.add_child(instance as Node)
	for frame: int in FRAMES:
		await process_frame
	var waits := instance is Node and instance.has_method("_ready")
	for frame: int in MOST_FRAMES:
		if not waits or instance.has_meta(END):
			break
		await process_frame
	if waits and not instance.has_meta(END):
		print("FAIL its _ready does not come to its end")
		quit(1)
		return
	if instance is Node:
		instance.free()
	print("PASS it ran")
	quit()
