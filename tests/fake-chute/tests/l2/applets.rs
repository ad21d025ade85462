use crate::common::applet;

#[test]
fn an_unknown_name_and_no_name_say_what_there_is() {
    let out = applet("fake-chute").arg("vim").output().expect("it runs");
    assert_eq!(out.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&out.stderr).contains("cache-cleaner"));
    assert_eq!(applet("fake-chute").output().expect("it runs").status.code(), Some(2));
}

#[test]
fn applets_answer_to_a_path_and_as_an_argument() {
    assert_eq!(applet("/bin/sh").args(["-c", "exit 7"]).output().expect("it runs").status.code(), Some(7));
    assert_eq!(applet("/fake-chute").args(["sh", "-c", "exit 7"]).output().expect("it runs").status.code(), Some(7));
}

#[test]
fn the_cleaner_makes_the_cache_folder() {
    let home = std::env::temp_dir().join(format!("fake-chute-cache-{}", std::process::id()));
    let out = applet("cache-cleaner").env("HF_HOME", home.join("hub")).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(home.join("hub").is_dir());
    std::fs::remove_dir_all(home).expect("removed");
}
