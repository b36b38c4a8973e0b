//! The list of stories.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};
use crate::limits::STORIES_MAX;
use crate::protocol::{Card, Story, StoryId};
use crate::text;

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Stories {
    list: Vec<Story>,
    /// Ids are never reused.
    last_id: StoryId,
}

impl Stories {
    pub fn list(&self) -> &[Story] {
        &self.list
    }

    pub fn get(&self, id: StoryId) -> Option<&Story> {
        self.list.iter().find(|story| story.id == id)
    }

    /// Adds all titles or none.
    pub fn add(&mut self, titles: &[String]) -> Result<(), Refusal> {
        if titles.is_empty() {
            return Err(Refusal::new(
                ErrorCode::InvalidTitle,
                "no title given; type at least one",
            ));
        }
        if self.list.len() + titles.len() > STORIES_MAX {
            let message = format!("a room holds {STORIES_MAX} stories; remove some first");
            return Err(Refusal::new(ErrorCode::TooManyStories, message));
        }
        let titles: Vec<String> = titles
            .iter()
            .map(|title| text::story_title(title))
            .collect::<Result<_, _>>()?;
        for title in titles {
            self.last_id += 1;
            self.list.push(Story {
                id: self.last_id,
                title,
                estimate: None,
            });
        }
        Ok(())
    }

    pub fn edit(&mut self, id: StoryId, title: &str) -> Result<(), Refusal> {
        let position = self.position(id)?;
        self.list[position].title = text::story_title(title)?;
        Ok(())
    }

    pub fn remove(&mut self, id: StoryId) -> Result<(), Refusal> {
        let position = self.position(id)?;
        self.list.remove(position);
        Ok(())
    }

    /// An index beyond the end moves the story to the end.
    pub fn move_to(&mut self, id: StoryId, index: u32) -> Result<(), Refusal> {
        let story = self.list.remove(self.position(id)?);
        let index = usize::try_from(index).unwrap_or(usize::MAX).min(self.list.len());
        self.list.insert(index, story);
        Ok(())
    }

    pub fn save_estimate(&mut self, id: StoryId, card: Card) -> Result<(), Refusal> {
        let position = self.position(id)?;
        self.list[position].estimate = Some(card);
        Ok(())
    }

    /// The next story after `current` without an estimate; the search wraps around at the end.
    pub fn next_after(&self, current: Option<StoryId>) -> Option<StoryId> {
        let start = current
            .and_then(|id| self.position(id).ok())
            .map_or(0, |position| position + 1);
        let (before, after) = self.list.split_at(start);
        let mut open = after
            .iter()
            .chain(before)
            .filter(|story| story.estimate.is_none());
        open.find(|story| Some(story.id) != current).map(|story| story.id)
    }

    fn position(&self, id: StoryId) -> Result<usize, Refusal> {
        let position = self.list.iter().position(|story| story.id == id);
        position
            .ok_or_else(|| Refusal::new(ErrorCode::UnknownStory, "this story is not in the list any more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stories(titles: &[&str]) -> Stories {
        let mut stories = Stories::default();
        stories
            .add(
                &titles
                    .iter()
                    .map(|&title| String::from(title))
                    .collect::<Vec<_>>(),
            )
            .unwrap();
        stories
    }

    fn ids(stories: &Stories) -> Vec<StoryId> {
        stories.list().iter().map(|story| story.id).collect()
    }

    #[test]
    fn the_next_story_has_no_estimate() {
        let mut stories = stories(&["a", "b", "c"]);
        assert_eq!(stories.next_after(None), Some(1));
        assert_eq!(stories.next_after(Some(1)), Some(2));
        assert_eq!(stories.next_after(Some(3)), Some(1), "from the top again");
        stories.save_estimate(1, String::from("5")).unwrap();
        assert_eq!(stories.next_after(Some(3)), Some(2));
        stories.save_estimate(3, String::from("5")).unwrap();
        assert_eq!(stories.next_after(Some(2)), None, "only the current one is open");
        assert_eq!(
            stories.next_after(Some(99)),
            Some(2),
            "the current one was removed"
        );
    }

    #[test]
    fn stories_move_and_ids_are_never_reused() {
        let mut stories = stories(&["a", "b", "c"]);
        stories.move_to(3, 0).unwrap();
        assert_eq!(ids(&stories), [3, 1, 2]);
        stories.move_to(3, u32::MAX).unwrap();
        assert_eq!(ids(&stories), [1, 2, 3]);
        stories.remove(3).unwrap();
        stories.add(&[String::from("d")]).unwrap();
        assert_eq!(ids(&stories), [1, 2, 4]);
        for refused in [stories.remove(3), stories.edit(3, "x"), stories.move_to(3, 0)] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::UnknownStory);
        }
    }

    #[test]
    fn titles_are_added_all_or_none() {
        let mut stories = stories(&["a"]);
        let refused = stories.add(&[String::from("b"), String::from(" ")]).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidTitle);
        let refused = stories.add(&vec![String::from("b"); STORIES_MAX]).unwrap_err();
        assert_eq!(refused.code, ErrorCode::TooManyStories);
        assert_eq!(stories.add(&[]).unwrap_err().code, ErrorCode::InvalidTitle);
        assert_eq!(ids(&stories), [1]);
    }
}
