/* Why a file or folder of somebody else is not used, and the way out. */
#ifndef HANGWATCH_DENIED_H
#define HANGWATCH_DENIED_H

/* What is refused, for its message. */
enum { HANGWATCH_A_SEGMENT_, HANGWATCH_A_FOLDER_ };

/* What shows in place of a user that this user namespace has no number for. */
#define HANGWATCH_OVERFLOW_UID_ 65534u

static const char *const hangwatch_read_only_ =
    "workers and monitors write; to read is enough for 'hangwatch status', 'inspect' and 'explain'";
static const char *const hangwatch_own_folder_ = "set HANGWATCH_DIR to a folder of your own, mode 0700";

static void hangwatch_hint_group_(struct hangwatch_report_ *report)
{
    hangwatch_hint_(report, "or share it with a group: name the users that may own it in HANGWATCH_ALLOWED_UIDS, such as "
                            "'1000,1001'");
}

static void hangwatch_denied_owner_(const char *what, const char *path, uint32_t uid, const struct hangwatch_access_ *access,
                                    int of, hangwatch_error_t *err)
{
    struct hangwatch_report_ report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, what, path);
    hangwatch_put_(&report.text, "it belongs to uid ");
    hangwatch_put_decimal_(&report.text, uid);
    hangwatch_put_(&report.text, ", this process is uid ");
    hangwatch_put_decimal_(&report.text, hangwatch_euid_());
    if (access->uids != NULL) {
        hangwatch_hint_(&report, "HANGWATCH_ALLOWED_UIDS does not name ");
        hangwatch_put_decimal_(&report.text, uid);
        hangwatch_put_(&report.text, ": add it, if that user may share it");
    } else {
        hangwatch_hint_(&report, of == HANGWATCH_A_SEGMENT_ ? "run this side as the same user as the workers"
                                                            : hangwatch_own_folder_);
        hangwatch_hint_group_(&report);
    }
    if (uid == HANGWATCH_OVERFLOW_UID_)
        hangwatch_hint_(&report, "in a user namespace 65534 is whoever has no number there");
}

static void hangwatch_denied_mode_(const char *what, const char *path, unsigned mode, const struct hangwatch_access_ *access,
                                   int of, hangwatch_error_t *err)
{
    struct hangwatch_report_ report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, what, path);
    int in_group = access->uids != NULL, is_segment = of == HANGWATCH_A_SEGMENT_;
    hangwatch_put_(&report.text, in_group ? "anybody may write it: mode " : "others may write it: mode ");
    hangwatch_put_mode_(&report.text, mode);
    hangwatch_put_(&report.text, ", expected ");
    hangwatch_put_(&report.text, in_group ? (is_segment ? "0660" : "2770") : (is_segment ? "0600" : "0700"));
    if (is_segment)
        hangwatch_hint_on_(&report, in_group ? "'chmod o-w " : "'chmod 600 ", path, "' if you trust what is in it");
    else
        hangwatch_hint_(&report, in_group ? "set HANGWATCH_DIR to a folder in it, which is made for the group alone"
                                          : hangwatch_own_folder_);
    if (!in_group && (mode & 002) == 0)
        hangwatch_hint_group_(&report);
}

/* What forbids the use of this: 0 nothing, or -1 with *err filled. */
static int hangwatch_forbidden_(const char *what, const char *path, const struct hangwatch_statx_ *about,
                                const struct hangwatch_access_ *access, int of, hangwatch_error_t *err)
{
    if (!hangwatch_may_own_(access, about->uid))
        hangwatch_denied_owner_(what, path, about->uid, access, of, err);
    else if (hangwatch_is_open_to_strangers_(access, about))
        hangwatch_denied_mode_(what, path, about->mode & 07777u, access, of, err);
    else
        return 0;
    return -1;
}

/* A segment that the kernel does not let us open. */
static void hangwatch_not_permitted_(const char *what, const char *path, const struct hangwatch_access_ *access,
                                     hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    struct hangwatch_statx_ about;
    int fd, found = hangwatch_stat_(-1, path, 0, &about);
    if (found == 0 && !hangwatch_may_own_(access, about.uid)) {
        hangwatch_denied_owner_(what, path, about.uid, access, HANGWATCH_A_SEGMENT_, err);
        return;
    }
    report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, what, path);
    if (found != 0) {
        hangwatch_put_(&report.text, "permission denied");
        hangwatch_hint_(&report, "a folder on the way to it is closed to this user");
        return;
    }
    hangwatch_put_(&report.text, "this process may not write it: uid ");
    hangwatch_put_decimal_(&report.text, about.uid);
    hangwatch_put_(&report.text, ", gid ");
    hangwatch_put_decimal_(&report.text, about.gid);
    hangwatch_put_(&report.text, ", mode ");
    hangwatch_put_mode_(&report.text, about.mode & 07777u);
    hangwatch_put_(&report.text, "; it is uid ");
    hangwatch_put_decimal_(&report.text, hangwatch_euid_());
    fd = hangwatch_open_(path, HANGWATCH_O_RDONLY_ | HANGWATCH_O_NOFOLLOW_ | HANGWATCH_O_NONBLOCK_ | HANGWATCH_O_NOCTTY_, 0);
    if (fd >= 0)
        hangwatch_hint_(&report, hangwatch_read_only_);
    hangwatch_close_(fd);
    if (about.uid == hangwatch_euid_() || access->uids == NULL) {
        hangwatch_hint_on_(&report, "'chmod u+rw ", path, "' lets its owner in");
        return;
    }
    hangwatch_hint_(&report, "a group's segment has mode 0660 and a group in which all of them are; gid ");
    hangwatch_put_decimal_(&report.text, about.gid);
    hangwatch_put_(&report.text, " must be one of this process's");
    hangwatch_hint_(&report, "give their folder that group and the setgid bit ('chmod g+s'), and let a member make the segment "
                             "anew");
}

#endif /* HANGWATCH_DENIED_H */
