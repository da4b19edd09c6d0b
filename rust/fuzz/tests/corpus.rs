//! The kept inputs of all targets, run as ordinary tests.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;

use mio_websocket_fuzz::targets;

/// Runs the kept inputs of a target; a panic comes with the name of the file.
fn replay(name: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        println!("{}", path.display());
        run(&input);
        count += 1;
    }
    assert!(count >= 10, "{count} inputs are kept in {}", folder.display());
}

macro_rules! replay {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name), targets::$name::run);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let names: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replay!(request_head answer_head frames url pem proxy connection multiplayer pair);
