//! The files of small catalogs, and the lines that they are served as.

use olm_tree::MemoryTree;

pub(super) const PACKAGE: &str = "---\nschema: olm.package\nname: etcd\ndefaultChannel: alpha\n---\n\
    schema: olm.channel\npackage: etcd\nname: alpha\nentries:\n- name: etcd.v1\n";

pub(super) const PACKAGE_LINES: &str = "{\"defaultChannel\":\"alpha\",\"name\":\"etcd\",\"schema\":\"olm.package\"}\n\
    {\"entries\":[{\"name\":\"etcd.v1\"}],\"name\":\"alpha\",\"package\":\"etcd\",\"schema\":\"olm.channel\"}\n";

pub(super) fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::default();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    tree
}
