// SPDX-License-Identifier: GPL-2.0-only

//! Entering another network namespace.

use crate::error::{
    reason,
    Error, //
};
use rustix::thread::{
    move_into_link_name_space,
    LinkNameSpaceType, //
};
use std::{
    fs::{
        self,
        File, //
    },
    io,
    os::fd::AsFd,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// Where `ip netns` keeps its names.
const DIRECTORY: &str = "/run/netns";

const EPERM: i32 = 1;

/// The file that stands for a network namespace: one of `ip netns`, or with a slash any path.
pub fn path(name: &str) -> PathBuf {
    match name.contains('/') {
        true => PathBuf::from(name),
        false => Path::new(DIRECTORY).join(name),
    }
}

/// The names that `ip netns` lists, sorted.
pub fn list() -> Result<Vec<String>, Error> {
    let failure = |error: io::Error| Error::Netns(format!("{DIRECTORY}: {}", reason(&error)));
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        // Nobody has named one yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failure(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failure)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Moves the calling thread into a network namespace. Sockets that it opens from then on belong
/// there, those that it has do not.
pub fn enter(name: &str) -> Result<(), Error> {
    let path = path(name);
    let failure = |error: io::Error| Error::Netns(explain(name, &path, &error));
    let file = File::open(&path).map_err(failure)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| failure(error.into()))
}

fn explain(name: &str, path: &Path, error: &io::Error) -> String {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("no network namespace \"{name}\" ({place})"),
        // setns() on a file that is no network namespace.
        io::ErrorKind::InvalidInput => format!("{place} is not a network namespace"),
        // setns() without the capability; opening the file fails with EACCES.
        io::ErrorKind::PermissionDenied if error.raw_os_error() == Some(EPERM) => format!(
            "cannot enter network namespace \"{name}\" ({place}): {}: CAP_SYS_ADMIN is needed",
            reason(error)
        ),
        _ => format!(
            "cannot enter network namespace \"{name}\" ({place}): {}",
            reason(error)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_makes_a_path() {
        assert_eq!(path("blue"), Path::new("/run/netns/blue"));
        assert_eq!(path("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
        assert_eq!(path("./blue"), Path::new("./blue"));
    }

    #[test]
    fn errors_name_the_namespace() {
        let error = enter("no-such-namespace").unwrap_err().to_string();
        assert_eq!(
            error,
            "no network namespace \"no-such-namespace\" (/run/netns/no-such-namespace)"
        );
        let error = enter("/dev/null").unwrap_err().to_string();
        assert_eq!(error, "/dev/null is not a network namespace");
    }
}
