//! Whether a file is mounted by itself, as Kubernetes does with a `subPath`: it is then never updated.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether the file is a mount point of its own, as far as the system tells.
pub fn is_mounted_by_itself(file: &Path) -> bool {
    let Ok(table) = fs::read("/proc/self/mountinfo") else {
        return false;
    };
    let Ok(file) = fs::canonicalize(file) else {
        return false;
    };
    file.is_file() && mount_points(&table).any(|point| point == file.as_os_str().as_bytes())
}

/// The fifth field of each line (proc_pid_mountinfo(5)), in which spaces and the like are written as octal numbers.
fn mount_points(table: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(unescape)
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, others)) = rest.split_first() {
        let octal = others
            .get(..3)
            .filter(|digits| *first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) => {
                out.push(
                    digits
                        .iter()
                        .fold(0_u8, |n, digit| n.wrapping_mul(8).wrapping_add(digit - b'0')),
                );
                rest = &others[3..];
            }
            None => {
                out.push(*first);
                rest = others;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_odd_bytes() {
        let table = b"36 35 98:0 / / rw,noatime - ext4 /dev/root rw\n\
            1312 1288 8:1 /var/sub /etc/mynah/mynah.yaml ro,relatime - ext4 /dev/sda1 rw\n\
            40 35 0:3 / /with\\040space\\134and\\011tab rw - tmpfs none rw\n";
        let points: Vec<_> = mount_points(table).collect();
        assert_eq!(
            points,
            [
                b"/".to_vec(),
                b"/etc/mynah/mynah.yaml".to_vec(),
                b"/with space\\and\ttab".to_vec()
            ]
        );
    }

    #[test]
    fn a_file_in_a_folder_is_not_mounted_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mynah.yaml");
        assert!(!is_mounted_by_itself(&file));
        fs::write(&file, "").unwrap();
        assert!(!is_mounted_by_itself(&file));
    }
}
