//! `downpour man`: one page, a section a command.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::text::print_bytes;

pub(crate) fn run() -> Result<(), Failure> {
    let mut page = Vec::new();
    render(&mut page).map_err(|error| Failure::new(format!("cannot make the manual page: {error}")))?;
    print_bytes(&page);
    Ok(())
}

fn render(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut program = Cli::command();
    // Gives the commands their full names, `downpour get` and so on.
    program.build();
    let whole = Man::new(program.clone());
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    whole.render_synopsis_section(page)?;
    whole.render_description_section(page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_bin_name().unwrap_or_default().to_uppercase();
        page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page.extend_from_slice(format!("{about}\n").as_bytes());
        let mut options = Vec::new();
        let man = Man::new(command.clone());
        man.render_synopsis_section(&mut options)?;
        man.render_options_section(&mut options)?;
        // Below the command's own section, what clap calls sections are subsections.
        let options = String::from_utf8_lossy(&options).replace(".SH ", ".SS ");
        page.extend_from_slice(options.as_bytes());
    }
    whole.render_version_section(page)
}
