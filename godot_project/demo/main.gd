extends Control
## What the project shows when it is opened and run: how to start the demo, and whether the addon is there.


func _ready() -> void:
	if not ClassDB.class_exists(&"MioWebSocketMultiplayerPeer"):
		$Text.text += "\n\nThe library is not built yet: cargo xtask build"
