//! A disk that is full or becomes full. It needs a small file system of its own, which only privileged users
//! can mount: elsewhere these tests say that they were skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mashbill_hub::{Error, check_space, free_space};
use mashbill_stand_in::Access;

use crate::site::{Place, noise};

/// A file system in memory, of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it at `path`; none where that is not permitted.
    fn mount(path: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let mut command = Command::new("mount");
        let size = format!("size={megabytes}m");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            println!("skipped: this user may not mount a tmpfs");
            return None;
        }
        Some(Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_found_before_the_transfer_and_leaves_nothing() {
    let place = Place::new();
    let contents = noise(6 << 20, 2);
    place.put(&[("big.parquet", &contents)], Access::Open);
    let file = place.file("big.parquet");
    let raw = place.folder.path().join("raw");
    let Some(disk) = SmallDisk::mount(&raw, 4) else { return };
    place.stand_in.clear_log();
    let error = place.fetch(&file).expect_err("it does not fit");
    assert!(matches!(error, Error::Store(mashbill_store::Error::DiskFull { .. })), "{error}");
    assert!(place.stand_in.log().is_empty() && place.beside().is_empty(), "{:?}", place.beside());
    let error = check_space(&raw.join("not/yet/there"), file.size).expect_err("it does not fit");
    assert!(matches!(error, Error::TooLittleSpace { free, .. } if free <= 4 << 20), "{error}");
    // Where there is room again, it goes on.
    let status = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&raw).status();
    assert!(status.is_ok_and(|status| status.success()));
    check_space(&raw, file.size).expect("it fits");
    place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    drop(disk);
}

#[test]
fn free_space_is_that_of_the_folder_that_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = free_space(&folder.path().join("a/b")).expect("the system tells");
    assert!(free > 0);
    check_space(&folder.path().join("a/b"), u64::MAX).expect_err("nothing is that large");
}
