extends SceneTree
## Runs the snippet that was written into this project: as a node of the tree, for half a second.

const SCRIPT := "res://snippet.gd"
const FRAMES := 30
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
	if instance is Node:
		instance.free()
	print("PASS it ran")
	quit()
