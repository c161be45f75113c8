//! Which files of a torrent `--files` means.

use glob::{MatchOptions, Pattern};

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// Which of `paths` (in the order of the torrent, with `/`) are meant by any of `patterns`: a number or a range of
/// numbers as `--list` shows them, or a pattern with `*`, `?` and `[…]` for a path, a file's name, or a folder and all
/// that is in it. Upper and lower case are the same.
///
/// # Errors
/// Says which pattern is wrong, or means no file.
pub(crate) fn select(patterns: &[String], paths: &[&str]) -> Result<Vec<bool>, String> {
    let mut wanted = vec![false; paths.len()];
    for pattern in patterns {
        let mut found = false;
        let mut choose = |index: usize| {
            wanted[index] = true;
            found = true;
        };
        match numbers(pattern) {
            Some((first, last)) => {
                (1..=paths.len())
                    .filter(|number| (first..=last).contains(number))
                    .for_each(|n| choose(n - 1));
            }
            None => {
                let glob = Pattern::new(pattern.trim_end_matches('/'))
                    .map_err(|error| format!("`{pattern}` is no pattern: {}", error.msg))?;
                (0..paths.len()).filter(|index| means(&glob, paths[*index])).for_each(choose);
            }
        }
        if !found {
            return Err(format!("`{pattern}` means no file: --list shows them"));
        }
    }
    Ok(wanted)
}

/// `3` or `3-7`.
fn numbers(pattern: &str) -> Option<(usize, usize)> {
    let (first, last) = pattern.split_once('-').unwrap_or((pattern, pattern));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Whether `glob` matches the path, what is below the torrent's own folder, the name, or a folder on the way.
fn means(glob: &Pattern, path: &str) -> bool {
    let matches = |text: &str| glob.matches_with(text, OPTIONS);
    let below = path.split_once('/').map_or(path, |(_, below)| below);
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut folders = path.match_indices('/').map(|(slash, _)| &path[..slash]);
    let mut folders_below = below.match_indices('/').map(|(slash, _)| &below[..slash]);
    matches(path) || matches(below) || matches(name) || folders.any(matches) || folders_below.any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 5] =
        ["Show/s1/e1.mkv", "Show/s1/e1.srt", "Show/s2/e1.mkv", "Show/Extras/a-b [1].txt", "Show/readme.TXT"];

    fn chosen(patterns: &[&str]) -> Result<Vec<usize>, String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let wanted = select(&patterns, &PATHS)?;
        Ok((0..PATHS.len()).filter(|index| wanted[*index]).collect())
    }

    #[test]
    fn files_are_chosen_by_number_name_pattern_and_folder() {
        let cases: [(&[&str], &[usize]); 9] = [
            (&["1"], &[0]),
            (&["2-3", "5"], &[1, 2, 4]),
            (&["4-99"], &[3, 4]),
            (&["*.mkv"], &[0, 2]),
            (&["E1.mkv"], &[0, 2]),
            (&["s1"], &[0, 1]),
            (&["show/s2/"], &[2]),
            (&["*.txt"], &[3, 4]),
            (&["s1/*.srt", "README*"], &[1, 4]),
        ];
        for (patterns, files) in cases {
            assert_eq!(chosen(patterns).as_deref(), Ok(files), "{patterns:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_an_error_that_names_it() {
        for pattern in ["0", "6", "7-9", "*.avi", "[", "3-1"] {
            assert!(chosen(&["1", pattern]).is_err_and(|error| error.contains(pattern)), "{pattern}");
        }
    }
}
