import { Home } from './home/Home'
import { useTexts } from './i18n'
import { TeamPage } from './join/TeamPage'
import { useRoute } from './router'
import { Link } from './ui/Link'
import { MessagePage } from './ui/MessagePage'

export function App() {
  const route = useRoute()
  const t = useTexts()
  switch (route.page) {
    case 'home':
      return <Home />
    case 'team':
      return <TeamPage key={route.slug} slug={route.slug} showHistory={route.history} />
    case 'unknown':
      return (
        <MessagePage title={t.stopped.unknown_page.title} text={t.stopped.unknown_page.text}>
          <Link className="button primary">{t.stopped.home}</Link>
        </MessagePage>
      )
  }
}
